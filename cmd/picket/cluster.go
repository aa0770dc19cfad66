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

// openCluster opens the store in Redis that a configuration asks for, as one that nobody else uses. lost is called when another broker has taken it over; it may be nil.
func openCluster(ctx context.Context, p mosqconf.Persistence, log *logging.Logger, lost func(error)) (*redis.Store, error) {
	return openRedis(ctx, p, redis.Options{Log: log, Lost: lost})
}

// openShared opens it as one that several nodes share.
func openShared(ctx context.Context, p mosqconf.Persistence, log *logging.Logger) (*redis.Store, error) {
	return openRedis(ctx, p, redis.Options{Log: log, Shared: true})
}

func openRedis(ctx context.Context, p mosqconf.Persistence, o redis.Options) (*redis.Store, error) {
	a, err := redis.ParseAddress(p.Cluster)
	if err != nil {
		return nil, err
	}
	o.Acknowledge = redis.Acknowledge{Auto: true}
	if p.Acknowledge != "" {
		if o.Acknowledge, err = redis.ParseAcknowledge(p.Acknowledge); err != nil {
			return nil, err
		}
	}
	return redis.Open(ctx, a, o)
}

// makeNode makes this broker a node of a cluster, and opens the store that the nodes share. It begins to be one with join.
func (s *server) makeNode(ctx context.Context, config *mosqconf.Config) error {
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
	if s.node, err = cluster.New(o); err != nil {
		return err
	}
	if err := s.node.Check(ctx); err != nil {
		return err
	}
	shared, err := openShared(ctx, p, s.log)
	if err != nil {
		return err
	}
	s.kept, config.Peers, config.Ownership = shared, s.node, ownership{s.node}
	return nil
}

// ownership is a node as what decides for its broker who has a session.
type ownership struct{ *cluster.Node }

func (o ownership) Claim(ctx context.Context, clientID string) error {
	done := make(chan error, 1)
	o.Node.Claim(clientID, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join has the node join its cluster, if there is one, and returns when it knows what the others want.
func (s *server) join(ctx context.Context) error {
	if s.node == nil {
		return nil
	}
	s.log.Cause(logging.Warning, cause.ClusterNotYet, "A node of a cluster has no retained messages yet.")
	if err := s.node.Start(ctx, clusterHost{s.broker.Neighbours(), s.broker}); err != nil {
		return err
	}
	select {
	case <-s.broker.Neighbours().Serving():
		return nil
	case <-ctx.Done():
		return errors.New("this node was ended before it had joined its cluster")
	}
}

// clusterHost is the broker as its node sees it.
type clusterHost struct {
	*broker.Neighbours
	b *broker.Broker
}

func (h clusterHost) Joined(incarnation uint64) { h.b.Serve(incarnation) }
func (h clusterHost) Own(s cluster.Owned, installed func(error)) {
	h.b.Own(s.Client, s.Fence, installed)
}
func (h clusterHost) Forget(client string) { h.b.Forget(client) }
func (h clusterHost) Stop(client string, stopped func()) {
	h.b.Release(client, func(err error) {
		if err == nil { // else the broker ends
			stopped()
		}
	})
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
