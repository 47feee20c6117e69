package coretest

// An Option changes how [Redis], [Cluster] and [Sentinel] run their servers.
type Option func(*settings)

type settings struct {
	config     map[string]string
	password   string
	persistent bool
	tls        bool
	cluster    bool
	replicas   int      // of each master of a cluster
	sentinel   *watched // what to watch, for nodes that are sentinels
}

func newSettings(opts []Option) settings {
	s := settings{config: map[string]string{}}
	for _, opt := range opts {
		opt(&s)
	}
	return s
}

// WithConfig sets a directive of redis.conf, such as "maxmemory", before the
// server starts. Unlike one set by [Node.Config] it outlives a restart.
func WithConfig(directive, value string) Option {
	return func(s *settings) { s.config[directive] = value }
}

// WithPersistence has every write on disk before it is answered (appendonly
// yes, appendfsync always), so that a restarted server remembers. Without it a
// restarted server is empty.
func WithPersistence() Option {
	return func(s *settings) { s.persistent = true }
}

// WithPassword demands password from every client; the nodes' URLs carry it.
func WithPassword(password string) Option {
	return func(s *settings) { s.password = password }
}

// WithReplicas gives each master of a [Cluster] that many replicas. Other
// deployments take no notice.
func WithReplicas(n int) Option {
	return func(s *settings) { s.replicas = n }
}

// WithTLS has the servers speak TLS and nothing else on their ports, with a
// certificate for 127.0.0.1 and localhost from an authority made for the
// occasion: see [Nodes.TLSConfig] and [Nodes.CAFile].
func WithTLS() Option {
	return func(s *settings) { s.tls = true }
}
