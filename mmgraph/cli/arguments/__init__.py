"""What stands around a command's options: modules to import, files of options."""
