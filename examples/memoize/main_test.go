package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// service is what lookUp stands for, with a switch.
type service struct {
	calls atomic.Int64
	asked chan struct{} // a call has begun
	may   chan error    // how it ends
}

func (s *service) lookUp(ctx context.Context, currency string) (rate, error) {
	n := s.calls.Add(1)
	s.asked <- struct{}{}
	select {
	case err := <-s.may:
		return rate{Currency: currency, Price: float64(n)}, err
	case <-ctx.Done():
		return rate{}, ctx.Err()
	}
}

func (s *service) awaitCall(t *testing.T) {
	t.Helper()
	select {
	case <-s.asked:
	case <-time.After(patience):
		require.FailNow(t, "nobody asks the service")
	}
}

// fleet starts two servers that know of each other by Redis alone.
func fleet(t *testing.T, s *service, fresh time.Duration) (urls [2]string) {
	t.Setenv("REDIS_NODES", strings.Join(coretest.Redis(t, 3).URLs(), ","))
	for i := range urls {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- run(ctx, listener, s.lookUp, fresh) }()
		t.Cleanup(func() {
			http.DefaultClient.CloseIdleConnections()
			stop()
			require.NoError(t, <-ended)
		})
		urls[i] = "http://" + listener.Addr().String() + "/rates/"
	}
	return urls
}

func get(url string) (status int, price float64, err error) {
	client := http.Client{Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	var r rate
	if resp.StatusCode == http.StatusOK {
		err = json.NewDecoder(resp.Body).Decode(&r)
	}
	return resp.StatusCode, r.Price, err
}

func requirePrice(t *testing.T, want float64, url string) {
	t.Helper()
	status, price, err := get(url)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, want, price)
}

func TestOneCallForTheFleet(t *testing.T) {
	s := &service{asked: make(chan struct{}, 10), may: make(chan error, 10)}
	urls := fleet(t, s, time.Hour)
	const n = 50
	prices := make(chan float64, n)
	for i := range n {
		go func() {
			_, price, _ := get(urls[i%2] + "USD")
			prices <- price
		}()
	}
	s.awaitCall(t)
	s.may <- nil
	for range n {
		require.Equal(t, 1.0, <-prices)
	}
	require.EqualValues(t, 1, s.calls.Load())

	status, _, err := get(urls[0] + "XXX")
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, status)
	require.EqualValues(t, 1, s.calls.Load())
}

func TestOldRatesMeanwhileAndInAnEmergency(t *testing.T) {
	s := &service{asked: make(chan struct{}, 10), may: make(chan error, 10)}
	urls := fleet(t, s, time.Millisecond)
	s.may <- nil
	requirePrice(t, 1, urls[0]+"USD")
	s.awaitCall(t)

	// The second call is under way: nobody waits for it, in neither process.
	requireAsked(t, s, urls[1]+"USD", 1)
	for i := range 20 {
		requirePrice(t, 1, urls[i%2]+"USD")
	}
	require.EqualValues(t, 2, s.calls.Load())
	s.may <- errors.New("down for maintenance")

	// It failed, so the old rate goes on to be served until a later one works.
	requireAsked(t, s, urls[0]+"USD", 1)
	s.may <- nil
	require.Eventually(t, func() bool { _, price, err := get(urls[1] + "USD"); return err == nil && price == 3 }, patience, time.Millisecond)
}

// requireAsked requests the old rate until the service is asked for a new one.
func requireAsked(t *testing.T, s *service, url string, old float64) {
	t.Helper()
	require.Eventually(t, func() bool {
		requirePrice(t, old, url)
		return len(s.asked) > 0
	}, patience, time.Millisecond)
	s.awaitCall(t)
}
