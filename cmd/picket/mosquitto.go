package main

import (
	"fmt"

	"picket/client/mosquitto"
)

// mosquittoUsage is what -h shows when the binary is called mosquitto.
const mosquittoUsage = `mosquitto (picket %s)

A broker for MQTT 5.0, 3.1.1 and 3.1 that stands in for mosquitto.

Usage: mosquitto [-c config_file] [-d] [-h] [-p port] [-v]

 -c, --config-file FILE : read this configuration.
 -d, --daemon           : go to the background once the broker is running.
 -h, --help             : show this text.
 -p, --port PORT        : listen on this port for this machine only, without
                          passwords. May be given up to 10 times. Without effect
                          when the configuration file defines listeners.
 -v, --verbose          : log everything, whatever the configuration says.

`

// runMosquitto is the program mosquitto: fewer options than picket serve has, and mosquitto's answers to wrong ones.
func runMosquitto(e *env, args []string) error {
	s := &serveCommand{LogFormat: "mosquitto", Mosquitto: true}
	wrong := func(format string, a ...any) error {
		return &statusError{statusConfiguration, fmt.Sprintf(format, a...)}
	}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-c", "--config-file":
			if i++; i == len(args) {
				return wrong("Error: -c argument given, but no config file specified.")
			}
			s.ConfigFile = args[i]
		case "-d", "--daemon":
			s.Daemon = true
		case "-h", "--help":
			fmt.Fprintf(e.stdout, mosquittoUsage, buildVersion())
			return &statusError{status: statusConfiguration}
		case "-p", "--port":
			if i++; i == len(args) {
				return wrong("Error: -p argument given, but no port specified.")
			}
			s.Port = append(s.Port, mosquitto.Number(args[i])) // Run checks them
		case "-v", "--verbose":
			s.Verbose = true
		case "-q", "--quiet", "--test-config":
			fmt.Fprintf(e.stderr, "Error: Unknown option '%s': it is of mosquitto 2.1. %s\n", args[i], map[bool]string{
				true: "picket check -c FILE tests a configuration.", false: "log_dest none in the configuration logs nothing."}[args[i] == "--test-config"])
			fmt.Fprintf(e.stdout, mosquittoUsage, buildVersion())
			return &statusError{status: statusConfiguration}
		default:
			fmt.Fprintf(e.stderr, "Error: Unknown option '%s'.\n", args[i])
			fmt.Fprintf(e.stdout, mosquittoUsage, buildVersion())
			return &statusError{status: statusConfiguration}
		}
	}
	return s.Run(e)
}
