"""Write all generated files. Tests compare the committed files with the generator's output."""
