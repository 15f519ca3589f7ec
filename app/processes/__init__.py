"""The helper processes, trainer and table reader: how they are started, and limits that they put on themselves."""
