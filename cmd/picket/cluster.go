package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"picket/broker"
	"picket/cause"
	"picket/cluster"
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

// makeNode makes this broker a node of a cluster. It begins to be one with join.
func (s *server) makeNode(config *mosqconf.Config) error {
	p := config.Persistence
	a, err := redis.ParseAddress(p.Cluster)
	if err != nil {
		return err
	}
	o := cluster.Options{Name: p.Address, Address: p.Address, Redis: a, Log: s.log, Acknowledge: redis.Acknowledge{Auto: true}}
	if p.Acknowledge != "" {
		if o.Acknowledge, err = redis.ParseAcknowledge(p.Acknowledge); err != nil {
			return err
		}
	}
	if s.node, err = cluster.New(o); err == nil {
		config.Peers = s.node
	}
	return err
}

// join has the node join its cluster, if there is one, and returns when it knows what the others want.
func (s *server) join(ctx context.Context) error {
	if s.node == nil {
		return nil
	}
	s.log.Cause(logging.Warning, cause.ClusterNotYet, "A node of a cluster has no sessions that outlive their connection and no retained messages yet, publishes no wills of a node that dies, and does not notice a client identifier that is used on two nodes.")
	if err := s.node.Start(ctx, clusterHost{s.broker.Neighbours()}); err != nil {
		return err
	}
	select {
	case <-s.broker.Neighbours().Serving():
		return nil
	case <-ctx.Done():
		return errors.New("this node was ended before it had joined its cluster")
	}
}

// clusterHost is the broker as its node sees it. Sessions do not move between nodes yet: nobody claims any.
type clusterHost struct{ *broker.Neighbours }

func (clusterHost) Own(_ cluster.Owned, installed func()) { installed() }
func (clusterHost) Stop(_ string, stopped func())         { stopped() }
func (clusterHost) Forget(string)                         {}

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
	if s.ClusterAddress != "" {
		if err := mosqconf.CheckClusterAddress(s.ClusterAddress); err != nil {
			return fmt.Errorf("--cluster-address: %w", err)
		}
		if s.Cluster == "" && config.Persistence.Cluster == "" {
			return errors.New("--cluster-address is for a node of a cluster, and nothing says where that has its Redis (--cluster)")
		}
		config.Persistence.Address = s.ClusterAddress
	}
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
	config.Persistence = mosqconf.Persistence{Cluster: s.Cluster, Acknowledge: config.Persistence.Acknowledge, Address: config.Persistence.Address}
	return nil
}
