package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"picket/printable"
	"picket/store/mosqdb"
	"picket/store/place"
)

// runDBDump is the program mosquitto_db_dump. Unlike it, its status is 1 also for a file that cannot be opened.
func runDBDump(e *env, args []string) error {
	d := mosqdb.Dump{Payloads: true}
	if len(args) == 2 {
		form, known := map[string]mosqdb.Form{"--stats": mosqdb.FormStats, "--client-stats": mosqdb.FormClientStats, "--json": mosqdb.FormJSON}[args[0]]
		if known {
			d.Form, args = form, args[1:]
		}
	}
	if len(args) != 1 {
		return &statusError{statusFailure, "Usage: db_dump [--stats | --client-stats | --json] <mosquitto db filename>"}
	}
	return dumpMosquitto(e, d, args[0])
}

// dumpFile prints what is in a mosquitto.db.
func (c *storeDump) dumpFile(e *env) error {
	d := mosqdb.Dump{Payloads: c.Payloads}
	switch {
	case c.JSON:
		d.Form = mosqdb.FormJSON
	case c.Stats:
		d.Form = mosqdb.FormStats
	case c.ClientStats:
		d.Form = mosqdb.FormClientStats
	}
	return dumpMosquitto(e, d, c.Dir)
}

// dumpMosquitto prints a mosquitto.db, and what is wrong with it in mosquitto's words, followed by where that is.
func dumpMosquitto(e *env, d mosqdb.Dump, name string) error {
	in, err := os.Open(name)
	if err != nil {
		return &statusError{statusFailure, "Error: Unable to open " + name + "\n" + err.Error()}
	}
	defer in.Close()
	begin := make([]byte, len(mosqdb.Magic))
	if _, err := in.ReadAt(begin, 0); err != nil && !errors.Is(err, io.EOF) {
		return &statusError{statusFailure, "Error: Unable to open " + name + "\n" + err.Error()}
	}
	if string(begin) != mosqdb.Magic {
		text := "Error: Unrecognised file format."
		if note, err := place.Note(name); err == nil && note != "" {
			text += "\n" + printable.Text(note)
		}
		return &statusError{statusFailure, text}
	}
	out := bufio.NewWriter(e.stdout)
	d.Warn = func(text string) {
		_ = out.Flush() // its error comes again
		fmt.Fprintln(e.stderr, "Warning: "+text)
	}
	err = errors.Join(d.Write(out, in), out.Flush())
	var damaged *mosqdb.Error
	var size mosqdb.ErrIDSize
	switch {
	case errors.As(err, &damaged):
		return &statusError{statusFailure, "Error: Corrupt persistent database.\n" + damaged.Error()}
	case errors.As(err, &size):
		return &statusError{statusFailure, "Error: " + size.Error()}
	}
	return err
}
