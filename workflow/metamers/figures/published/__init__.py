"""The figures of the published study, from its public data."""
