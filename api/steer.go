package api

import (
	"errors"
	"net/http"
	"reflect"

	"picket/broker"
	"picket/cause"
	"picket/printable"
	"picket/token"
)

// Subscribed is what has become of a subscription.
type Subscribed struct {
	Subscription broker.Subscription `json:"subscription"`
	Existed      bool                `json:"existed"` // it was there, and has these options now
}

// maxQueueNumber is the largest number that a parameter for a place in a queue takes: JSON readers have 53 bits.
const maxQueueNumber = 1<<53 - 1

// steerRoutes are those about one client's queue and subscriptions.
func (a *API) steerRoutes() []*route {
	return []*route{
		{method: "GET", path: "client/queue", role: token.Operator, about: "What is in flight to a client and what waits for it, in the order of its numbers; nothing changes by looking.", out: reflect.TypeFor[broker.QueuePart](),
			params: []param{idParam(), limitParam(), {name: "after", kind: number, about: "next of the answer before: only what comes behind.", max: maxQueueNumber},
				{name: "payload", kind: number, about: "At most so many bytes of each payload; absent: none.", max: 64 << 10}}, do: a.queue},
		{method: "PUT", path: "client/subscriptions", role: token.Operator, about: "Subscribes a client in its own name, or gives a subscription other options: judged by the client's rights, stored, and known to the client by what it gets alone.",
			params: []param{idParam()}, in: reflect.TypeFor[broker.Subscription](), needs: []string{"filter", "qos"}, out: reflect.TypeFor[Subscribed](), do: a.subscribe},
		{method: "DELETE", path: "client/subscriptions", role: token.Operator, about: "Ends a subscription of a client in its own name.", out: reflect.TypeFor[Changed](),
			params: []param{idParam(), {name: "filter", kind: text, about: "The topic filter, as the list has it.", required: true}}, do: a.unsubscribe},
	}
}

func noClient(c *call) *refusal {
	return notFound("there is no client %q", printable.Text(c.text("id")))
}

func (a *API) queue(c *call) (any, error) {
	part, ok, err := a.Broker.Queue(c.request.Context(), c.text("id"), broker.QueueQuery{After: uint64(c.number("after")), Limit: c.number("limit"), Payload: c.number("payload")})
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, noClient(c)
	}
	return part, nil
}

func (a *API) subscribe(c *call) (any, error) {
	sub := *c.in.(*broker.Subscription)
	c.note = "filter=" + printable.Text(sub.Filter)
	switch {
	case sub.QoS > 2:
		return nil, wrongMember("qos", "0, 1 or 2 is expected")
	case sub.RetainHandling > 2:
		return nil, wrongMember("retain_handling", "0, 1 or 2 is expected")
	case sub.Identifier > 268_435_455:
		return nil, wrongMember("subscription_identifier", "a number from 1 to 268435455 is expected")
	}
	existed, err := a.Broker.SubscribeFor(c.request.Context(), c.text("id"), sub)
	if err != nil {
		return nil, a.steered(c, err)
	}
	return Subscribed{sub, existed}, nil
}

func (a *API) unsubscribe(c *call) (any, error) {
	found, err := a.Broker.UnsubscribeFor(c.request.Context(), c.text("id"), c.text("filter"))
	switch {
	case err != nil:
		return nil, a.steered(c, err)
	case !found:
		return nil, notFound("the client has not subscribed to %q", printable.Text(c.text("filter")))
	}
	return Changed{true}, nil
}

// steered is why a client's subscriptions were not changed.
func (a *API) steered(c *call, err error) error {
	var denied *broker.Denied
	switch {
	case errors.Is(err, broker.ErrNoSession):
		return noClient(c)
	case errors.As(err, &denied), c.request.Context().Err() != nil:
		return err
	}
	return &refusal{status: http.StatusUnprocessableEntity, id: cause.FilterInvalid, detail: err.Error()}
}
