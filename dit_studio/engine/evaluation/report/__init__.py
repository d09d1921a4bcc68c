"""Reports of evaluations: one HTML file to hand on, a table for a spreadsheet, JSON for a program."""
