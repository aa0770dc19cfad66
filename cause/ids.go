package cause

// The broker and its machine.
const (
	BrokerNotRunning       ID = "broker-not-running"
	LoopbackOnly           ID = "loopback-only"
	OpenToEveryone         ID = "open-to-everyone"
	PageNotBuilt           ID = "page-not-built"
	ConfigNotLoaded        ID = "config-not-loaded"
	ConfigErrorExit        ID = "config-error-exit"
	ConfigRefused          ID = "config-refused"
	ConfigUnreadable       ID = "config-unreadable"
	ConfigUnknownDirective ID = "config-unknown-directive"
	ConfigInvalidValue     ID = "config-invalid-value"
	ConfigUnsupported      ID = "config-unsupported"
	ConfigConflict         ID = "config-conflict"
	ConfigNoEffect         ID = "config-no-effect"
	ConfigDeprecated       ID = "config-deprecated"
	KeyUnreadable          ID = "key-unreadable"
	FilePermissions        ID = "file-permissions"
	PortTaken              ID = "port-taken"
	PrivilegedPort         ID = "privileged-port"
	BindBeforeNetwork      ID = "bind-before-network"
	PersistenceCorrupt     ID = "persistence-corrupt"
	StoreFailed            ID = "store-failed"
	StoreInUse             ID = "store-in-use"
	StoreNewer             ID = "store-newer"
	StoreFileUnread        ID = "store-file-unread"
	ClusterUnreachable     ID = "cluster-unreachable"
	ClusterUnfit           ID = "cluster-unfit"
	ClusterRights          ID = "cluster-rights"
	ClusterEviction        ID = "cluster-eviction"
	ClusterVolatile        ID = "cluster-volatile"
	ClusterNoReplica       ID = "cluster-no-replica"
	ClusterReplica         ID = "cluster-replica"
	ClusterTaken           ID = "cluster-taken"
	ClusterLost            ID = "cluster-lost"
	DiskFull               ID = "disk-full"
	DockerPortNotPublished ID = "docker-port-not-published"
	DockerDefaultConf      ID = "docker-default-conf"
	SELinuxDenied          ID = "selinux-denied"
	AppArmorDenied         ID = "apparmor-denied"
	MemoryLimit            ID = "memory-limit"
	MemoryLimitOOM         ID = "memory-limit-oom"
	Overloaded             ID = "overloaded"
	OverloadOrStorm        ID = "overload-or-storm"
	ConntrackFull          ID = "conntrack-full"
	LogLinesLost           ID = "log-lines-lost"
	Unexplained            ID = "unexplained"
)

// From a host name to an address.
const (
	DNSMissingOrStale ID = "dns-missing-or-stale"
	DNSNoAnswer       ID = "dns-no-answer"
	ClientOffline     ID = "client-offline"
	CDNProxiedDNS     ID = "cdn-proxied-dns"
	PrivateIPUsed     ID = "private-ip-used"
	IPv4OnlyListener  ID = "ipv4-only-listener"
	IPv6OnlyClient    ID = "ipv6-only-client"
	IPv6OnlyServer    ID = "ipv6-only-server"
)

// The way to the port.
const (
	SecurityGroupClosed        ID = "security-group-closed"
	SecurityGroupWrongRule     ID = "security-group-wrong-rule"
	LightServerFirewall        ID = "light-server-firewall"
	PanelFirewall              ID = "panel-firewall"
	VPCACL                     ID = "vpc-acl"
	HostFirewallDrop           ID = "host-firewall-drop"
	HostFirewallReject         ID = "host-firewall-reject"
	NoPublicIP                 ID = "no-public-ip"
	WrongPort                  ID = "wrong-port"
	HostDown                   ID = "host-down"
	NATNoPortForward           ID = "nat-no-port-forward"
	CGNAT                      ID = "cgnat"
	HairpinNAT                 ID = "hairpin-nat"
	CarrierOrCorpBlocksPort    ID = "carrier-or-corp-blocks-port"
	CaptivePortalOrAPIsolation ID = "captive-portal-or-ap-isolation"
	CrossBorder                ID = "cross-border"
	ICPSNIBlock                ID = "icp-sni-block"
	MTUBlackhole               ID = "mtu-blackhole"
	MaxConnections             ID = "max-connections"
	FDLimit                    ID = "fd-limit"
	ConnectFlood               ID = "connect-flood"
	RateLimitOrBan             ID = "rate-limit-or-ban"
)

// A certificate of a public authority.
const (
	ACMEPortClosed    ID = "acme-port-closed"
	ACMENameElsewhere ID = "acme-name-elsewhere"
	ACMECAA           ID = "acme-caa"
	ACMERateLimited   ID = "acme-rate-limited"
	ACMEPortTaken     ID = "acme-port-taken"
	ACMERefused       ID = "acme-refused"
	ACMEUnreachable   ID = "acme-unreachable"
)

// The first bytes.
const (
	TLSToPlainPort        ID = "tls-to-plain-port"
	PlainToTLSPort        ID = "plain-to-tls-port"
	TCPToWSPort           ID = "tcp-to-ws-port"
	WSToTCPPort           ID = "ws-to-tcp-port"
	ProxyProtocolMismatch ID = "proxy-protocol-mismatch"
	ProxyHeaderUnexpected ID = "proxy-header-unexpected"
	ProxyHeaderMissing    ID = "proxy-header-missing"
	ProxyHeaderMalformed  ID = "proxy-header-malformed"
	TLSWithoutCertificate ID = "tls-without-certificate"
	UnknownProtocol       ID = "unknown-protocol"
	ConnectTimeout        ID = "connect-timeout"
	BrokerSilent          ID = "broker-silent"
)

// TLS.
const (
	TLSUnknownCA                 ID = "tls-unknown-ca"
	TLSIncompleteChain           ID = "tls-incomplete-chain"
	TLSNameMismatch              ID = "tls-name-mismatch"
	TLSExpired                   ID = "tls-expired"
	TLSNotYetValid               ID = "tls-not-yet-valid"
	TLSExpiresSoon               ID = "tls-expires-soon"
	ClockSkew                    ID = "clock-skew"
	OldRootStore                 ID = "old-root-store"
	TLSVersion                   ID = "tls-version"
	TLSCiphers                   ID = "tls-ciphers"
	ClientCertRequired           ID = "client-cert-required"
	ClientCertRefused            ID = "client-cert-refused"
	ClientCertRevoked            ID = "client-cert-revoked"
	SNIALPN                      ID = "sni-alpn"
	DeviceOutOfMemory            ID = "device-out-of-memory"
	TLSClientRejectedCertificate ID = "tls-client-rejected-certificate"
	TLSHandshakeFailed           ID = "tls-handshake-failed"
)

// WebSocket.
const (
	WSPath           ID = "ws-path"
	WSSubprotocol    ID = "ws-subprotocol"
	WSOrigin         ID = "ws-origin"
	WSUpgradeInvalid ID = "ws-upgrade-invalid"
	WSFrameInvalid   ID = "ws-frame-invalid"
	ProxyNoUpgrade   ID = "proxy-no-upgrade"
	H2ALPN           ID = "h2-alpn"
)

// CONNECT and its answer.
const (
	AnonymousRefused   ID = "anonymous-refused"
	AnonymousLocalOnly ID = "anonymous-local-only"
	NoPasswordFile     ID = "no-password-file"
	ServerFull         ID = "server-full"
	Maintenance        ID = "maintenance"
	BadCredentials     ID = "bad-credentials"
	AuthMethodUnknown  ID = "auth-method-unknown"
	AuthBackendDown    ID = "auth-backend-down"
	ProtocolVersion    ID = "protocol-version"
	EmptyClientID      ID = "empty-client-id"
	ClientIDPrefix     ID = "client-id-prefix"
	ClientIDRefused    ID = "client-id-refused"
	KeepaliveRefused   ID = "keepalive-refused"
	WillRefused        ID = "will-refused"
)

// Publishing, subscribing and delivery.
const (
	ACLPublishDenied      ID = "acl-publish-denied"
	ACLSubscribeDenied    ID = "acl-subscribe-denied"
	ACLReadDenied         ID = "acl-read-denied"
	ACLDangerousName      ID = "acl-dangerous-name"
	ACLSilent             ID = "acl-silent"
	SysReadOnly           ID = "sys-read-only"
	ControlUnavailable    ID = "control-unavailable"
	AttemptsHidden        ID = "attempts-hidden"
	NoMatchingSubscribers ID = "no-matching-subscribers"
	WrongTopicOrQoS       ID = "wrong-topic-or-qos"
	PublishThenExit       ID = "publish-then-exit"
	TopicInvalid          ID = "topic-invalid"
	FilterInvalid         ID = "filter-invalid"
	TopicTooDeep          ID = "topic-too-deep"
	TopicAliasInvalid     ID = "topic-alias-invalid"
	QoSNotSupported       ID = "qos-not-supported"
	RetainNotSupported    ID = "retain-not-supported"
	RetainedFull          ID = "retained-full"
	SubscriptionsFull     ID = "subscriptions-full"
	PayloadFormatInvalid  ID = "payload-format-invalid"
	PayloadTooLarge       ID = "payload-too-large"
	PacketTooLarge        ID = "packet-too-large"
	ReceiverPacketLimit   ID = "receiver-packet-limit"
	MessageExpired        ID = "message-expired"
	QueueFull             ID = "queue-full"
	QueueBytesFull        ID = "queue-bytes-full"
	PacketIDUnknown       ID = "packet-id-unknown"
)

// The connection and the session last, or end.
const (
	IDTakeoverLoop         ID = "id-takeover-loop"
	SessionOtherMount      ID = "session-other-mount"
	SessionTakenOver       ID = "session-taken-over"
	KeepaliveMissed        ID = "keepalive-missed"
	ConnectionLost         ID = "connection-lost"
	MalformedPacket        ID = "malformed-packet"
	ProtocolViolation      ID = "protocol-violation"
	ReceiveMaximumExceeded ID = "receive-maximum-exceeded"
	OutputFull             ID = "output-full"
	ServerShuttingDown     ID = "server-shutting-down"
	MaintenanceOrReload    ID = "maintenance-or-reload"
	ListenerRemoved        ID = "listener-removed"
	NoLongerAllowed        ID = "no-longer-allowed"
	DisconnectedByAdmin    ID = "disconnected-by-admin"
	SessionExpired         ID = "session-expired"
	ProxyIdle60s           ID = "proxy-idle-60s"
	LossyNetwork           ID = "lossy-network"
	FarAway                ID = "far-away"
	WSPingUnanswered       ID = "ws-ping-unanswered"
	NATIdleTimeout         ID = "nat-idle-timeout"
	LBIdleTimeout          ID = "lb-idle-timeout"
	WiFiCellSwitch         ID = "wifi-cell-switch"
)

// The phone, the app, the page.
const (
	AppFormMistake    ID = "app-form-mistake"
	MixedContent      ID = "mixed-content"
	WeChatMiniProgram ID = "wechat-miniprogram"
	AndroidCleartext  ID = "android-cleartext"
	IOSATS            ID = "ios-ats"
	AndroidDoze       ID = "android-doze"
	IOSBackground     ID = "ios-background"
	PhoneVPNOrDNS     ID = "phone-vpn-or-dns"
	ESPWiFiState      ID = "esp-wifi-state"
)

// Bridges to other brokers.
const (
	BridgeUnreachable         ID = "bridge-unreachable"
	BridgeTLSFailed           ID = "bridge-tls-failed"
	BridgeNoConnack           ID = "bridge-no-connack"
	BridgeRefused             ID = "bridge-refused"
	BridgeLocalRefused        ID = "bridge-local-refused"
	BridgeLost                ID = "bridge-lost"
	BridgeSubscriptionRefused ID = "bridge-subscription-refused"
	BridgeLoop                ID = "bridge-loop"
	BridgeMessageTooLarge     ID = "bridge-message-too-large"
	BridgeMessageRefused      ID = "bridge-message-refused"
)

// The sentinel.
const (
	SentinelNoQuorum              ID = "sentinel-no-quorum"
	SentinelNoMajority            ID = "sentinel-no-majority"
	SentinelNoGoodReplica         ID = "sentinel-no-good-replica"
	SentinelWaitingForLeader      ID = "sentinel-waiting-for-leader"
	SentinelWaitingForVotes       ID = "sentinel-waiting-for-votes"
	SentinelWaitingToRetry        ID = "sentinel-waiting-to-retry"
	SentinelTilt                  ID = "sentinel-tilt"
	SentinelWrongPassword         ID = "sentinel-wrong-password"
	SentinelMissingPermission     ID = "sentinel-missing-permission"
	SentinelPeerUnreachable       ID = "sentinel-peer-unreachable"
	SentinelPingRefused           ID = "sentinel-ping-refused"
	SentinelConfigNotSaved        ID = "sentinel-config-not-saved"
	SentinelNameUnresolved        ID = "sentinel-name-unresolved"
	SentinelHandoverRefused       ID = "sentinel-handover-refused"
	SentinelServerUnproved        ID = "sentinel-server-unproved"
	SentinelHTTPRequest           ID = "sentinel-http-request"
	SentinelWouldLoseAcknowledged ID = "sentinel-would-lose-acknowledged"
	SentinelGroupNotSealed        ID = "sentinel-group-not-sealed"
)

// The echo service and its probe.
const (
	EchoNoWayBack         ID = "echo-no-way-back"
	EchoAltered           ID = "echo-altered"
	EchoReceiverGone      ID = "echo-receiver-gone"
	EchoServerFull        ID = "echo-server-full"
	EchoClientConnections ID = "echo-client-connections"
	EchoClientBytes       ID = "echo-client-bytes"
	EchoTimeLimit         ID = "echo-time-limit"
	EchoIdle              ID = "echo-idle"
	EchoStranger          ID = "echo-stranger"
	ProbeTokenWrong       ID = "probe-token-wrong"
	ProbeTooOften         ID = "probe-too-often"
	ProbeMalformed        ID = "probe-malformed"
	ProbeUDPBlocked       ID = "probe-udp-blocked"
)
