package core

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzParseNodeURL: whatever is written, no panic, and the password of a URL is
// in no error.
func FuzzParseNodeURL(f *testing.F) {
	for _, seed := range []string{
		"redis://:s3cretpw@127.0.0.1:6379/0", "rediss://user:s3cretpw@host", "unix:///tmp/redis.sock?db=1",
		"redis://host?socket_timeout=0.5&socket_connect_timeout=2", "redis://host?socket_timeout=1e999",
		"redis://u:s3cretpw@host:notaport", "redis://u:s3cretpw@host/notadb", "http://u:s3cretpw@host",
		"redis://s3cretpw@host/s3cretpw", "redis://s3cretpw@host?db=s3cretpw",
		"redis://u:s3cretpw@%zz", "redis://", "://", "", "redis://[::1]:6379", "redis://h?unknown=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		opt, err := parseNodeURL(raw)
		if err == nil {
			require.NotEmpty(t, opt.Addr)
			return
		}
		requireNoSecret(t, raw, err)
	})
}

// FuzzConfigNode is the same through New's own checks, which add a field's name.
func FuzzConfigNode(f *testing.F) {
	f.Add("redis://:s3cretpw@127.0.0.1:6379/0", "dlm", int64(0), 0.01)
	f.Add("redis://u:s3cretpw@host/notadb", strings.Repeat("p", 40), int64(-1), 1.0)
	f.Fuzz(func(t *testing.T, raw, prefix string, ttl int64, drift float64) {
		cfg := Config{Nodes: []string{raw}, Prefix: prefix, TTL: time.Duration(ttl), DriftFactor: drift}.withDefaults()
		if err := cfg.validate(); err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			requireNoSecret(t, raw, err)
			return
		}
		list, err := cfg.sources()
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			requireNoSecret(t, raw, err)
			return
		}
		require.NotContains(t, list[0].name, "s3cretpw@")
	})
}

// requireNoSecret looks for what stands between the user's colon and the last @
// of the authority, or in front of the @ where there is no colon, if it is long
// enough not to be there by chance.
func requireNoSecret(t *testing.T, raw string, err error) {
	t.Helper()
	_, rest, found := strings.Cut(raw, "://")
	if !found {
		return
	}
	authority, _, _ := strings.Cut(rest, "/")
	at := strings.LastIndex(authority, "@")
	if at < 0 {
		return
	}
	user, password, found := strings.Cut(authority[:at], ":")
	if !found {
		password = user
	}
	if len(password) >= 8 {
		require.NotContains(t, err.Error(), password)
	}
}

// FuzzNamesOf: every key gets names that Redis and a Cluster can work with, and
// no two keys the same.
func FuzzNamesOf(f *testing.F) {
	for _, seed := range []string{"order_42", "{b}", "}{", "\x00\xff", "h:", "l:", strings.Repeat("k", 127), strings.Repeat("k", 128), strings.Repeat("k", 129)} {
		f.Add(seed, seed+"x", "dlm")
	}
	f.Add("a", strings.Repeat("a", 4096), strings.Repeat("p", maxPrefix))
	f.Add("dlm:1:{", "dlm:1:{}:l:", "dlm")
	f.Fuzz(func(t *testing.T, a, b, prefix string) {
		if a == "" || b == "" || len(prefix) > maxPrefix || strings.ContainsAny(prefix, "{}") {
			return
		}
		m := newManager(Config{Prefix: prefix}.withDefaults())
		x, y := m.namesOf(a), m.namesOf(b)
		for _, n := range []names{x, y} {
			tag := hashTag(n.lock)
			for _, name := range []string{n.lock, n.fence, n.queue} {
				require.LessOrEqual(t, len(name), 200)
				require.Equal(t, tag, hashTag(name), "one slot")
			}
			require.NotEmpty(t, tag)
			require.NotEqual(t, n.lock, n.queue)
			require.NotEqual(t, n.lock, n.fence)
			require.True(t, m.isLock(n.lock))
			require.Equal(t, n.queue, m.queueOf(n.lock))
			require.False(t, m.isLock(n.queue) || m.isLock(n.fence) || m.isLock(m.markerKey))
		}
		if m.isLock(a) { // as it may come over Pub/Sub
			m.queueOf(a)
		}
		if a != b {
			require.NotEqual(t, x.lock, y.lock)
			require.NotEqual(t, x.queue, y.queue)
			require.NotEqual(t, x.lock, y.queue)
		}
	})
}

// hashTag is what Redis hashes: the first {…} that is not empty, as of
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
func hashTag(key string) string {
	_, rest, open := strings.Cut(key, "{")
	tag, _, closed := strings.Cut(rest, "}")
	if !open || !closed || tag == "" {
		return ""
	}
	return tag
}

func FuzzParseRecord(f *testing.F) {
	f.Add("OWNER:17:1700000000000:note: with colons", int64(5))
	f.Add("::::", int64(-1))
	f.Add("OWNER:99999999999999999999:0:", int64(0))
	f.Fuzz(func(t *testing.T, text string, left int64) {
		rec, ok := parseRecord(text, left)
		if !ok {
			require.Equal(t, record{}, rec)
			return
		}
		require.True(t, rec.told)
		require.NotEmpty(t, rec.owner)
		require.True(t, strings.HasPrefix(text, rec.owner+":"))
		require.True(t, strings.HasSuffix(text, ":"+rec.metadata))
	})
}

func FuzzParseInfo(f *testing.F) {
	f.Add("# Server\r\nredis_version:7.2.4\r\nrun_id:abc\r\nuptime_in_seconds:12\r\nrole:master\r\nmaxmemory_policy:allkeys-lru\r\n")
	f.Add("uptime_in_seconds:-1\nuptime_in_seconds:99999999999999999999\n")
	f.Add(strings.Repeat("x", 70000) + "\nrun_id:after a line too long\n")
	f.Fuzz(func(t *testing.T, text string) {
		facts := parseInfo(text)
		require.True(t, facts.uptime == -1 || facts.uptime >= 0)
		require.True(t, facts.runID == "" || strings.Contains(text, facts.runID))
		if facts.evicts() {
			require.NotEqual(t, "noeviction", facts.eviction)
		}
	})
}
