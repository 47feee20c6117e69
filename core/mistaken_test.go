package core

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// A URL that cannot work says what to write instead: in the error of a call, in the
// report of Health and in the log.
func TestMistakenURLsSayWhatToWrite(t *testing.T) {
	t.Parallel()
	plain, secured := coretest.Redis(t, 1).Node(0), coretest.Redis(t, 1, coretest.WithTLS())
	guarded := coretest.Redis(t, 1, coretest.WithPassword(secret)).Node(0)
	full := coretest.Redis(t, 1, coretest.WithConfig("maxclients", "1")).Node(0)
	require.NoError(t, full.Client().Ping(t.Context()).Err()) // whose connection is the one
	mutual := coretest.Redis(t, 1, coretest.WithTLS(), coretest.WithConfig("tls-auth-clients", "yes"))
	given := func(addr string, edit func(*redis.Options)) Config {
		opt := &redis.Options{Addr: addr}
		edit(opt)
		client := redis.NewClient(opt)
		t.Cleanup(func() { _ = client.Close() })
		return Config{Clients: []redis.UniversalClient{client}}
	}
	for name, c := range map[string]struct {
		cfg  Config
		want []string
	}{
		"TLS where there is none": {Config{Nodes: []string{"rediss://" + plain.Addr()}}, []string{"TLS on this port", "redis://"}},
		"a client's TLS where there is none": {
			given(plain.Addr(), func(o *redis.Options) { o.TLSConfig = secured.TLSConfig(); keepQuiet(o) }), []string{"TLS on this port", "redis://"},
		},
		"no TLS where there is one":    {Config{Nodes: []string{"redis://" + secured.Node(0).Addr()}}, []string{"may speak TLS on this port", "rediss://"}},
		"no certificate of its own":    {given(mutual.Node(0).Addr(), func(o *redis.Options) { o.TLSConfig = mutual.TLSConfig(); keepQuiet(o) }), []string{"certificate"}},
		"no password":                  {Config{Nodes: []string{"redis://" + guarded.Addr()}}, []string{"NOAUTH", "no password was given", "redis://:password@host"}},
		"the password as a user":       {Config{Nodes: []string{"redis://" + secret + "@" + guarded.Addr()}}, []string{"NOAUTH", "a user without a password", "redis://:password@host"}},
		"a wrong password":             {Config{Nodes: []string{"redis://:" + secret + "x@" + guarded.Addr()}}, []string{"WRONGPASS", "check the password", "the user default"}},
		"a user whom nobody knows":     {Config{Nodes: []string{"redis://dlm:" + secret + "@" + guarded.Addr()}}, []string{"WRONGPASS", "check the user's name and password"}},
		"a server that is full of us":  {Config{Nodes: []string{"redis://" + full.Addr()}}, []string{"max number of clients reached"}},
		"a full server and a password": {Config{Nodes: []string{"redis://:" + secret + "@" + full.Addr()}}, []string{"max number of clients reached"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &logLines{}
			c.cfg.Logger, c.cfg.NodeTimeout = slog.New(slog.NewTextHandler(log, nil)), frozen/2
			m, err := New(c.cfg)
			require.NoError(t, err)
			defer m.Close() //nolint:errcheck // holds nothing
			require.Eventually(t, func() bool {
				_, err := m.TryAcquire(t.Context(), "k")
				require.ErrorIs(t, err, ErrNoQuorum)
				return containsAll(err.Error(), c.want)
			}, patience, 10*time.Millisecond)
			for _, word := range c.want {
				require.Positive(t, log.about(word), word)
			}
			h, err := m.Health(t.Context())
			require.ErrorIs(t, err, ErrNoQuorum)
			require.True(t, containsAll(err.Error(), c.want), err)
			require.True(t, containsAll(h.Nodes[0].Reason, c.want), h.Nodes[0].Reason)
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
