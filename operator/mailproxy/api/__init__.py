"""What users write and what they read back: the models of MailProxy, and its CRD."""
