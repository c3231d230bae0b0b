"""From trial tables to effects, intervals, claims and scores."""
