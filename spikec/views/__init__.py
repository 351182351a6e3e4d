"""What people see of a plan and of a run: tables and pictures."""
