package redisnodes_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNodesGivenByTheEnvironment(t *testing.T) {
	t.Setenv("REDIS_NODES", " redis://a:1, redis://b:2,,")
	urls, stop, err := redisnodes.Open()
	require.NoError(t, err)
	require.Equal(t, []string{"redis://a:1", "redis://b:2"}, urls)
	require.NoError(t, stop())
}

func TestEmbeddedNodesWhenNoneAreGiven(t *testing.T) {
	t.Setenv("REDIS_NODES", "")
	urls, stop, err := redisnodes.Open()
	require.NoError(t, err)
	require.Len(t, urls, 3)
	for _, url := range urls {
		options, err := redis.ParseURL(url)
		require.NoError(t, err)
		client := redis.NewClient(options)
		require.NoError(t, client.Ping(t.Context()).Err())
		require.NoError(t, client.Close())
	}
	require.NoError(t, stop())
}
