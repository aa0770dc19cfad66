package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"picket/logging"
	"picket/mosqconf"
	"picket/store"
	"picket/store/local"
	"picket/store/redis"
	"picket/store/transfer"
)

// inRedis tells whether a place of a store is Redis, and no directory: its address, or "cluster" for the one in the environment.
func inRedis(place string) bool {
	return strings.HasPrefix(place, "redis://") || strings.HasPrefix(place, "rediss://") || place == "cluster" && os.Getenv("PICKET_CLUSTER") != ""
}

// placeArgument is the place that an argument names: others can read the command line, so a password stands in the environment.
func placeArgument(arg string) (string, error) {
	if arg == "cluster" && inRedis(arg) {
		return os.Getenv("PICKET_CLUSTER"), nil
	}
	if inRedis(arg) {
		if a, err := redis.ParseAddress(arg); err == nil && a.Password != "" {
			return "", errors.New("a password in the command line can be read by everybody on this machine: set PICKET_CLUSTER, and write cluster in place of the address")
		}
	}
	return arg, nil
}

// openPlace opens a store whose broker is stopped, with its contents.
func openPlace(e *env, place string) (_ *transfer.Contents, done func() error, err error) {
	log, err := logging.New(logging.Config{Dest: []logging.Dest{{Kind: logging.Stderr}}, Types: logging.Error}, io.Discard, e.stderr)
	if err != nil {
		return nil, nil, err
	}
	var s store.Store
	if inRedis(place) {
		s, err = openCluster(e.ctx, mosqconf.Persistence{Cluster: place}, log, nil)
	} else {
		s, err = local.Open(place, local.Options{Log: log})
	}
	if err != nil {
		log.Close()
		return nil, nil, err
	}
	c, err := transfer.Open(e.ctx, s)
	done = func() error {
		defer log.Close()
		return s.Close()
	}
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return c, done, nil
}

// verifyRedis reads everything that is in Redis.
func (c *storeVerify) verifyRedis(e *env) error {
	place, err := placeArgument(c.Dir)
	if err != nil {
		return err
	}
	from, done, err := openPlace(e, place)
	if err != nil {
		return err
	}
	counts := local.Counts{Format: store.Version}
	var problems []string
	err = from.Each(e.ctx, func(i store.Item) error {
		switch {
		case i.Record != nil:
			counts.Sessions++
		case i.Sub != nil:
			counts.Subscriptions++
		case i.Entry != nil:
			if counts.Queued++; i.Entry.Damaged {
				problems = append(problems, fmt.Sprintf("message %d of session %q cannot be read", i.Entry.Seq, i.ClientID))
			}
		case i.Retained != nil:
			counts.Retained++
		default:
			counts.Received++
		}
		return nil
	})
	if err = errors.Join(err, done()); err != nil {
		return err
	}
	return c.print(e, counts, problems)
}

// openItems gives what calls a function with everything in a store.
func openItems(e *env, place string) (each func(func(local.Item) error) error, done func(), err error) {
	if !inRedis(place) {
		i, done, err := inspect(e, place)
		if err != nil {
			return nil, nil, err
		}
		return i.Dump, done, nil
	}
	from, end, err := openPlace(e, place)
	if err != nil {
		return nil, nil, err
	}
	return func(do func(local.Item) error) error { return from.Each(e.ctx, do) }, func() { _ = end() }, nil // it was only read
}

// move puts what one store holds into another.
func (c *storeImport) move(e *env) error {
	source, err := placeArgument(c.From)
	if err != nil {
		return err
	}
	target, err := placeArgument(c.To)
	if err != nil {
		return err
	}
	from, doneFrom, err := openPlace(e, source)
	if err != nil {
		return err
	}
	to, doneTo, err := openPlace(e, target)
	if err != nil {
		return errors.Join(err, doneFrom())
	}
	if !to.Empty() {
		return errors.Join(fmt.Errorf("%s holds sessions or retained messages already; give a place that is empty", c.To), doneTo(), doneFrom())
	}
	sum, err := from.Into(e.ctx, to)
	if err = errors.Join(err, doneTo(), doneFrom()); err != nil {
		return fmt.Errorf("%w; what is in %s is not complete", err, c.To)
	}
	_, err = fmt.Fprintf(e.stdout, "%s: %s with %s, %s, %s not released, %s; %s could not be read\n", c.To, plural(sum.Sessions, "session"), plural(sum.Subscriptions, "subscription"),
		plural(sum.Queued, "queued message"), plural(sum.Received, "received message"), plural(sum.Retained, "retained message"), plural(sum.Damaged, "message"))
	return err
}
