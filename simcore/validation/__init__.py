"""What a result is worth: the statistics, the trial ledger and the criteria of a validation.

Plain numpy, no kernel; a replay never imports it. Sharpe ratios here are per period unless a name says annual.
"""
