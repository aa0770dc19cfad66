package main

import (
	"fmt"

	"picket/client/mosquitto"
	"picket/logging"
	"picket/mosqconf"
)

// mosquittoUsage is what -h shows when the binary is called mosquitto.
const mosquittoUsage = `mosquitto (picket %s)

A broker for MQTT 5.0, 3.1.1 and 3.1 that stands in for mosquitto.

Usage: mosquitto [-c config_file] [-d] [-h] [-p port] [-q] [-v]
       mosquitto -c config_file --test-config

 -c, --config-file FILE : read this configuration.
 -d, --daemon           : go to the background once the broker is running.
 -h, --help             : show this text.
 -p, --port PORT        : listen on this port for this machine only, without
                          passwords. May be given up to 10 times. Without effect
                          when the configuration file defines listeners.
 -q, --quiet            : log nothing, whatever the configuration and -v say.
                          What is wrong with a configuration is said.
 -v, --verbose          : log everything, whatever the configuration says.
 --test-config          : say what is wrong with the configuration file, and end.

`

// runMosquitto is the program mosquitto: fewer options than picket serve has, and mosquitto's answers to wrong ones.
func runMosquitto(e *env, args []string) error {
	s := &serveCommand{LogFormat: "mosquitto", Mosquitto: true}
	wrong := func(format string, a ...any) error {
		return &statusError{statusConfiguration, fmt.Sprintf(format, a...)}
	}
	test := false
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
		case "-q", "--quiet":
			s.quiet = true
		case "--test-config":
			test = true
		default:
			fmt.Fprintf(e.stderr, "Error: Unknown option '%s'.\n", args[i])
			fmt.Fprintf(e.stdout, mosquittoUsage, buildVersion())
			return &statusError{status: statusConfiguration}
		}
	}
	if test {
		return s.testConfiguration(e)
	}
	return s.Run(e)
}

// testConfiguration says on standard error what is wrong with the configuration file, as mosquitto 2.1 does. It opens no port and changes nothing. The files that the
// configuration names are looked at, too, as picket check does.
func (s *serveCommand) testConfiguration(e *env) error {
	if err := s.check(e); err != nil {
		return err
	}
	if s.ConfigFile == "" {
		return &statusError{statusConfiguration, "Error: Please provide a configuration file to test."}
	}
	log, err := s.openLog(e, nil)
	if err != nil {
		return err
	}
	defer log.Close()
	_, report := mosqconf.Check(s.ConfigFile)
	write(log, report.Lines())
	if report.Failed() {
		return &statusError{status: statusConfiguration}
	}
	log.Printf(logging.Info, "Configuration file is OK.")
	return nil
}
