package bench

import (
	"context"
	"fmt"
	"time"

	"picket/packet"
)

// fill returns when every topic has its first retained message, and notes what that took.
func (r *run) fill(ctx context.Context, l *load, res *Result) error {
	topics := uint64(r.config.Publishers * r.config.Topics)
	first := r.moment()
	for now := first; ; now = r.moment() {
		if now.sent >= topics {
			res.FirstPerSecond, res.firstCPU = round(float64(now.sent-first.sent)/(now.at-first.at).Seconds(), 1), perMillion(first, now, now.sent-first.sent)
			return nil
		}
		if err := l.wait(ctx, look); err != nil {
			return err
		}
	}
}

// perItem notes how much memory each of n things has taken between two moments.
func (res *Result) perItem(before, after moment, n int) {
	if res.Broker != nil {
		res.Broker.PerTopic = round(float64(after.broker.rss-before.broker.rss)/float64(n), 1)
		res.Broker.CPUPerMillionFirst = res.firstCPU
	}
}

// perMillion is the broker's processor time between two moments for a million of n things, in seconds.
func perMillion(first, last moment, n uint64) float64 {
	if n == 0 {
		return 0
	}
	return round((last.broker.cpu-first.broker.cpu).Seconds()/float64(n)*1e6, 3)
}

// unretain removes the retained messages of all topics.
func (r *run) unretain() error {
	for i, p := range r.publishers {
		if err := p.SetWriteDeadline(time.Now().Add(r.config.Drain)); err != nil {
			return err
		}
		var out []byte
		for n := range r.config.Topics {
			out = (&packet.Publish{Retain: true, Topic: []byte(topicName(&r.config, r.name, i, n))}).Append(out, r.config.Version)
			if len(out) >= batchBytes || n == r.config.Topics-1 {
				if _, err := p.Write(out); err != nil {
					return fmt.Errorf("removing retained messages: %w", p.lost(err))
				}
				out = out[:0]
			}
		}
		// The answer to a ping comes when everything before it is done.
		if _, err := p.ask((&packet.Pingreq{}).Append(nil, r.config.Version)); err != nil {
			return fmt.Errorf("removing retained messages: %w", err)
		}
	}
	return nil
}
