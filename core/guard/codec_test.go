package guard

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

func sample() *response {
	h := http.Header{"Etag": {`"v1"`}, "X-Many": {"one", "two"}, "Vary": {"Accept"}, "Date": {"Sun, 06 Nov 1994 08:49:37 GMT"}}
	r := &response{status: http.StatusOK, header: h, body: []byte("content"), variant: []byte("variant")}
	policy := rfc9111.Policy{DefaultLifetime: time.Minute}
	r.meta = policy.Describe(r.status, h, time.Time{}, time.Unix(784111777, 0))
	return r
}

func TestCodecReturnsWhatItWasGiven(t *testing.T) {
	c := codec{&rfc9111.Policy{DefaultLifetime: time.Minute}}
	want := sample()
	data, err := c.Marshal(want)
	require.NoError(t, err)
	var got *response
	require.NoError(t, c.Unmarshal(data, &got))
	require.Equal(t, want.status, got.status)
	require.Equal(t, want.header, got.header)
	require.Equal(t, want.body, got.body)
	require.Equal(t, want.variant, got.variant)
	require.Equal(t, want.meta.ETag, got.meta.ETag)
	require.Equal(t, want.meta.Lifetime, got.meta.Lifetime)
	clear(data) // nothing of a response lives in the store's bytes
	require.Equal(t, "content", string(got.body))
	require.Equal(t, "one", got.header.Get("X-Many"))
}

func TestCodecRefusesWhatIsCutShort(t *testing.T) {
	c := codec{&rfc9111.Policy{}}
	data, err := c.Marshal(sample())
	require.NoError(t, err)
	for n := range len(data) - len("content") {
		var got *response
		require.ErrorIs(t, c.Unmarshal(data[:n], &got), errForm, "%d bytes", n)
	}
}

func FuzzCodec(f *testing.F) {
	c := codec{&rfc9111.Policy{}}
	data, err := c.Marshal(sample())
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte{200, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		var got *response
		if c.Unmarshal(data, &got) != nil {
			return
		}
		again, err := c.Marshal(got)
		require.NoError(t, err)
		var second *response
		require.NoError(t, c.Unmarshal(again, &second))
		require.Equal(t, got.header, second.header)
		require.Equal(t, got.body, second.body)
	})
}

// A response is as old when it is read back as it was when it was stored, whatever
// made it old, and to the nanosecond: the cache goes on counting from there.
func TestCodecKeepsTheAge(t *testing.T) {
	g := &Guard{settings: settings{Config: Config{Fresh: time.Minute}, policy: rfc9111.Policy{DefaultLifetime: time.Minute}}}
	received := time.Unix(784111777, 700_000_000)
	get, err := http.NewRequest(http.MethodGet, "/x", nil)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		rec  recorded
		want time.Duration
	}{
		"made here":        {recorded{}, 0},
		"stored late":      {recorded{waited: true}, 1500 * time.Millisecond},
		"from elsewhere":   {recorded{header: http.Header{"Age": {"10"}}}, 11500 * time.Millisecond},
		"of an older date": {recorded{header: http.Header{"Date": {"Sun, 06 Nov 1994 08:49:27 GMT"}}}, 10700 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			tt.rec.request, tt.rec.status, tt.rec.body, tt.rec.complete = get, http.StatusOK, []byte("content"), true
			tt.rec.begun, tt.rec.received = received.Add(-1500*time.Millisecond), received
			stored := g.judge(&tt.rec)
			require.Equal(t, rfc9111.OK, stored.reason)
			age, ttl := stored.ages(0)
			require.Equal(t, tt.want, age)
			data, err := codec{&g.policy}.Marshal(stored)
			require.NoError(t, err)
			var read *response
			require.NoError(t, codec{&g.policy}.Unmarshal(data, &read))
			readAge, readTTL := read.ages(0)
			require.Equal(t, age, readAge)
			require.Equal(t, ttl, readTTL)
		})
	}
}
