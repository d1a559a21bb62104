"""Terraform and OpenTofu: their command lines, their processes, their environments, and what their files say."""
