"""The vocabulary of simcore: enums, record layouts, instruments, errors. Imports nothing of the house."""
