package core

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestErrorsSayEverythingOnce(t *testing.T) {
	t.Parallel()
	m := managerOn(t, coretest.Embedded(t, 1).URLs())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.Acquire(over, "k")
	require.EqualError(t, err, `dlm: acquire "k": context canceled`)
	_, err = m.Acquire(t.Context(), "k", WithWait(-1), WithRetry(-1, 0))
	require.EqualError(t, err, "dlm: acquire \"k\": invalid argument: Wait -1ns: must not be negative\nRetryDelay -1ns: must be positive")
	require.NoError(t, m.Close())
	_, err = m.Health(t.Context())
	require.EqualError(t, err, "dlm: health: manager closed")
}
