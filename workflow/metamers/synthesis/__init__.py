"""From natural stimuli to metamers: matching, nulls, screening and controls."""
