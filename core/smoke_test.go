package core

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestSmoke(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			nodes := coretest.Redis(t, n)
			m, err := New(Config{Nodes: nodes.URLs()})
			require.NoError(t, err)
			defer m.Close()
			start := time.Now()
			for i := range 1000 {
				l, err := m.Acquire(context.Background(), fmt.Sprint("k", i))
				require.NoError(t, err)
				require.NoError(t, l.Release(context.Background()))
			}
			t.Log(n, "1 caller", time.Since(start)/1000)
			start = time.Now()
			var wg sync.WaitGroup
			for c := range 64 {
				wg.Go(func() {
					for i := range 100 {
						l, err := m.Acquire(context.Background(), fmt.Sprint("k", c, "-", i))
						if err != nil {
							t.Error(err)
							return
						}
						if err := l.Release(context.Background()); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			t.Log(n, "64 callers", time.Since(start)/6400)
			m2, err := New(Config{Nodes: nodes.URLs()})
			require.NoError(t, err)
			defer m2.Close()
			var held, count int
			start = time.Now()
			for i := range 64 {
				mm := m
				if i%2 == 0 {
					mm = m2
				}
				wg.Go(func() {
					for range 10 {
						err := mm.Do(context.Background(), "hot", func(ctx context.Context) error {
							held++
							count++
							if held != 1 {
								t.Error("overlap")
							}
							held--
							return nil
						}, WithWait(20*time.Second))
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			t.Log(n, "hot", time.Since(start)/640, count, fmt.Sprintf("%+v", m.Stats()))
		})
	}
}
