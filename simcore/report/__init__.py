"""The report: figures, frames and pages made from a finished recording. Imports pandas and pyarrow only when asked to."""
