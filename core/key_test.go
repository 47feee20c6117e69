package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

// Any bytes are a key, different bytes are different keys, and none of them can
// be taken for another, for a queue, a counter or the marker.
func TestKeysOfAnyBytes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 4096)
	keys := []string{
		" ", "a", "a ", "A", "a:b", "a:", ":a", "{a}", "{}", "{", "}", "}:", "{tag}a", "${b}", "%s", "*", "?[a]", "\x00", "\xff\xfe", "\r\n", "\"", "é", "e\u0301",
		"l:a", "ql:a", "f", "node", "dlm:1:node", strings.Repeat("x", maxLiteral), strings.Repeat("x", maxLiteral+1), strings.Repeat("x", maxLiteral+2),
		strings.Repeat("x", 512), long + "a", long + "b", long,
	}
	nodes := coretest.Redis(t, 1)
	for _, prefix := range []string{"", "p", "p:q", strings.Repeat("p", maxPrefix)} {
		m := managerOn(t, nodes.URLs(), withTTL(time.Hour), func(c *Config) { c.Prefix = prefix })
		names := map[string]string{m.markerKey: "the marker"}
		var locks []*Lock
		for _, key := range keys {
			l := hold(t, m, key)
			require.Equal(t, key, l.Key())
			locks = append(locks, l)
			_, err := m.TryAcquire(t.Context(), key)
			require.ErrorIs(t, err, ErrNotAcquired, "%q", key)
			info, err := m.Inspect(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, l.Owner(), info.Owner)
			nm := m.namesOf(key)
			require.Equal(t, nm.queue, m.queueOf(nm.lock))
			for _, name := range []string{nm.lock, nm.queue} {
				require.LessOrEqual(t, len(name), 200)
				require.Empty(t, names[name], "%q has the name of %q", key, names[name])
				names[name] = key
			}
			require.Empty(t, names[nm.fence])
		}
		for _, l := range locks {
			require.NoError(t, l.Release(t.Context()))
		}
	}
	keysLeft, err := nodes.Node(0).Keys("")
	require.NoError(t, err)
	for _, k := range keysLeft {
		require.True(t, strings.HasSuffix(k, ":f") || strings.HasSuffix(k, ":node"), "%q stays", k)
	}
}

func TestEmptyKeyIsRefused(t *testing.T) {
	t.Parallel()
	m := managerOn(t, coretest.Redis(t, 1).URLs())
	_, err := m.Acquire(t.Context(), "")
	require.ErrorIs(t, err, ErrInvalid)
	_, err = m.TryAcquire(t.Context(), "")
	require.ErrorIs(t, err, ErrInvalid)
	_, err = m.IsLocked(t.Context(), "")
	require.ErrorIs(t, err, ErrInvalid)
}

// A hostile key neither breaks a log line nor fills it.
func TestErrorsQuoteKeys(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"a\r\nforged line", strings.Repeat("\x00", 1<<16)} {
		text := lockError("acquire", key, ErrTimeout).Error()
		require.NotContains(t, text, "\n")
		require.Less(t, len(text), 1024)
	}
}

// The counters are bounded, however many keys there are.
func TestCountersAreBounded(t *testing.T) {
	t.Parallel()
	m := &Manager{keyBase: "dlm:1:"}
	seen := map[string]bool{}
	for i := range 10 * buckets {
		seen[m.namesOf(fmt.Sprint("key", i)).fence] = true
	}
	require.Len(t, seen, buckets)
}
