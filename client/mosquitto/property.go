package mosquitto

import (
	"strconv"
	"strings"

	"picket/packet"
)

// propertyOption is an MQTT 5 property as the option -D knows it.
type propertyOption struct {
	id  packet.PropertyID
	in  string // commands that it goes with
	set func(p *packet.Properties, value string, n uint32)
	max uint32 // largest value of a number; 0 for text
}

// properties are those that a client may send, by the names that mosquitto's programs use.
var properties = map[string]propertyOption{
	"payload-format-indicator":     {packet.PayloadFormatIndicator, "publish will", func(p *packet.Properties, _ string, n uint32) { p.PayloadFormat = byte(n) }, 1<<8 - 1},
	"message-expiry-interval":      {packet.MessageExpiryInterval, "publish will", func(p *packet.Properties, _ string, n uint32) { p.MessageExpiry = n }, 1<<32 - 1},
	"content-type":                 {packet.ContentType, "publish will", func(p *packet.Properties, v string, _ uint32) { p.ContentType = v }, 0},
	"response-topic":               {packet.ResponseTopic, "publish will", func(p *packet.Properties, v string, _ uint32) { p.ResponseTopic = v }, 0},
	"correlation-data":             {packet.CorrelationData, "publish will", func(p *packet.Properties, v string, _ uint32) { p.CorrelationData = []byte(v) }, 0},
	"topic-alias":                  {packet.TopicAlias, "publish", func(p *packet.Properties, _ string, n uint32) { p.TopicAlias = uint16(n) }, 1<<16 - 1},
	"subscription-identifier":      {packet.SubscriptionIdentifier, "subscribe", func(p *packet.Properties, _ string, n uint32) { p.SubscriptionIDs = []uint32{n} }, 268_435_455},
	"session-expiry-interval":      {packet.SessionExpiryInterval, "connect disconnect", func(p *packet.Properties, _ string, n uint32) { p.SessionExpiry = n }, 1<<32 - 1},
	"will-delay-interval":          {packet.WillDelayInterval, "will", func(p *packet.Properties, _ string, n uint32) { p.WillDelay = n }, 1<<32 - 1},
	"request-problem-information":  {packet.RequestProblemInformation, "connect", func(p *packet.Properties, _ string, n uint32) { p.RequestProblem = byte(n) }, 1<<8 - 1},
	"request-response-information": {packet.RequestResponseInformation, "connect", func(p *packet.Properties, _ string, n uint32) { p.RequestResponse = byte(n) }, 1<<8 - 1},
	"receive-maximum":              {packet.ReceiveMaximum, "connect", func(p *packet.Properties, _ string, n uint32) { p.ReceiveMaximum = uint16(n) }, 1<<16 - 1},
	"topic-alias-maximum":          {packet.TopicAliasMaximum, "connect", func(p *packet.Properties, _ string, n uint32) { p.TopicAliasMaximum = uint16(n) }, 1<<16 - 1},
	"maximum-packet-size":          {packet.MaximumPacketSize, "connect", func(p *packet.Properties, _ string, n uint32) { p.MaximumPacketSize = n }, 1<<32 - 1},
	"authentication-method":        {packet.AuthenticationMethod, "connect", func(p *packet.Properties, v string, _ uint32) { p.AuthMethod = v }, 0},
	"authentication-data":          {packet.AuthenticationData, "connect", func(p *packet.Properties, v string, _ uint32) { p.AuthData = []byte(v) }, 0},
	"reason-string":                {packet.ReasonString, "disconnect", func(p *packet.Properties, v string, _ uint32) { p.ReasonString = v }, 0},
	"user-property":                {packet.UserProperties, "connect publish subscribe unsubscribe disconnect will", nil, 0},
}

// serverProperties are those that only a server sends: they have names, but no command that takes them.
const serverProperties = " assigned-client-identifier server-keep-alive response-information server-reference maximum-qos retain-available wildcard-subscription-available subscription-identifier-available shared-subscription-available "

// commandNames are the packets that -D may name, and those it may not have a property for.
const (
	settableCommands = " connect publish subscribe unsubscribe disconnect will "
	otherCommands    = " auth connack puback pubrec pubrel pubcomp suback unsuback "
)

// property takes what follows -D: COMMAND NAME VALUE, or COMMAND user-property KEY VALUE. It returns how many words that was.
func (o *options) property(args []string) (used int, err error) {
	const few = "--property argument given but not enough arguments specified."
	if len(args) < 3 {
		return 0, wrongOption(few)
	}
	command, name, value := strings.ToLower(args[0]), strings.ToLower(args[1]), args[2]
	word := " " + command + " "
	if !strings.Contains(settableCommands, word) && !strings.Contains(otherCommands, word) {
		return 0, wrongOption("Invalid command given in --property argument.")
	}
	prop, known := properties[name]
	switch {
	case !known && !strings.Contains(serverProperties, " "+name+" "):
		return 0, wrongOption("Invalid property name given in --property argument.")
	case strings.Contains(otherCommands, word):
		return 0, wrongOption("%s property not supported for %s in --property argument.", name, command)
	case !known || !strings.Contains(" "+prop.in+" ", word):
		return 0, wrongOption("%s property not allowed for %s in --property argument.", name, command)
	}
	p := o.properties[command]
	if p == nil {
		p = &packet.Properties{}
		o.properties[command] = p
	}
	o.version = packet.V5
	if prop.set == nil {
		if len(args) < 4 {
			return 0, wrongOption(few)
		}
		p.AddUser(value, args[3])
		return 4, nil
	}
	if p.Has(prop.id) {
		return 0, optionError("Error in " + strings.ToUpper(command) + " properties: Duplicate property in property list")
	}
	var n uint32
	if prop.max > 0 {
		if n, err = propertyNumber(prop, name, value); err != nil {
			return 0, err
		}
	} else if len(value) > 65535 {
		return 0, wrongOption("Property value too long for property %s.", name)
	}
	prop.set(p, value, n)
	p.Set(prop.id)
	return 3, nil
}

// propertyNumber reads a number and refuses those that the property must not have (MQTT 5.0, 3.1.2.11, 3.3.2.3, 3.8.2.1.2).
func propertyNumber(prop propertyOption, name, value string) (uint32, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, wrongOption("Property value (%s) is not a number for property %s.", value, name)
	}
	low, high := int64(0), int64(prop.max)
	switch prop.id {
	case packet.PayloadFormatIndicator, packet.RequestProblemInformation, packet.RequestResponseInformation:
		high = 1
	case packet.TopicAlias, packet.ReceiveMaximum, packet.MaximumPacketSize, packet.SubscriptionIdentifier:
		low = 1
	}
	if n < low || n > high {
		return 0, wrongOption("Property value (%d) out of range for property %s.", n, name)
	}
	return uint32(n), nil
}
