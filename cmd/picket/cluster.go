package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"picket/logging"
	"picket/mosqconf"
	"picket/store/redis"
)

// openCluster opens the store in Redis that a configuration asks for. lost is called when another broker has taken it over.
func openCluster(ctx context.Context, p mosqconf.Persistence, log *logging.Logger, lost func(error)) (*redis.Store, error) {
	a, err := redis.ParseAddress(p.Cluster)
	if err != nil {
		return nil, err
	}
	o := redis.Options{Log: log, Acknowledge: redis.Acknowledge{Auto: true}, Lost: lost}
	if p.Acknowledge != "" {
		if o.Acknowledge, err = redis.ParseAcknowledge(p.Acknowledge); err != nil {
			return nil, err
		}
	}
	return redis.Open(ctx, a, o)
}

// logUnfit writes all that Redis lacks, a line for each, and reports whether err says that.
func logUnfit(log *logging.Logger, err error) bool {
	unfit := (*redis.UnfitError)(nil)
	if !errors.As(err, &unfit) {
		return false
	}
	for _, m := range unfit.Missing {
		if m.Fatal {
			log.Cause(logging.Error, m.Cause, "Error: Redis %s cannot be used: %s.", unfit.Address, m.Text)
		}
	}
	return true
}

// clustered puts what --cluster says in force.
func (s *serveCommand) clustered(config *mosqconf.Config, own bool) error {
	if s.Cluster == "" {
		return nil
	}
	a, err := redis.ParseAddress(s.Cluster)
	switch {
	case err != nil:
		return errors.New("--cluster: " + err.Error())
	case a.Password != "" && slices.ContainsFunc(os.Args, func(arg string) bool { return strings.Contains(arg, s.Cluster) }):
		return errors.New("--cluster: a password in the command line can be read by everybody on this machine. Put the address into the environment (PICKET_CLUSTER) or into a configuration file (cluster)")
	case config.Persistence.On && !own:
		return errors.New("--cluster and persistence exclude each other: sessions and messages are stored either in Redis or on this disk")
	}
	config.Persistence = mosqconf.Persistence{Cluster: s.Cluster, Acknowledge: config.Persistence.Acknowledge}
	return nil
}
