package phrases

// logLines are the lines of the log that people at a terminal see.
var logLines = map[string]string{}
