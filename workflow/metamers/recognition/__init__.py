"""Who answers what: networks and people judging metamers, in one kind of table."""
