// Package cause is the catalogue of causes: every way in which Picket says no, drops, denies, truncates, takes over or gives up
// has an id here, and log lines, MQTT 5 reason strings, metrics, the API and the doctor all speak these ids.
package cause

// ID names one cause, such as "bad-credentials". Ids never change their meaning.
type ID string

// LogLinesLost: a log destination could not take lines as fast as they came, or could not be written to.
const LogLinesLost ID = "log-lines-lost"
