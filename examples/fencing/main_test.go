//go:build unix

package main

import (
	"database/sql"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/examples/internal/subprocess"
)

func TestMain(m *testing.M) { subprocess.Main(m, main) }

// charged is what the table says.
func charged(t *testing.T, file string) (charges int, token int64) {
	db, err := sql.Open("sqlite", "file:"+file)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.QueryRow(`SELECT charges, token FROM orders WHERE id = '42'`).Scan(&charges, &token))
	return charges, token
}

func tokenOf(t *testing.T, p *subprocess.Process) int64 {
	token, err := strconv.ParseInt(p.Await("charged, with token "), 10, 64)
	require.NoError(t, err)
	return token
}

func TestSuspendedHolderIsRefusedByTheTable(t *testing.T) {
	t.Setenv("REDIS_NODES", strings.Join(coretest.Redis(t, 3).URLs(), ","))
	file := filepath.Join(t.TempDir(), "shop.db")

	suspended := subprocess.Start(t, "-db", file)
	suspended.Await("order 42 was charged 0 times")
	suspended.Signal(syscall.SIGSTOP)

	// The lease runs out, another process has the lock and the order.
	later := subprocess.Start(t, "-db", file)
	later.Await("order 42 was charged 0 times")
	later.Type("")
	token := tokenOf(t, later)
	_, err := later.Wait()
	require.NoError(t, err)

	suspended.Type("")
	suspended.Signal(syscall.SIGCONT)
	stderr, err := suspended.Wait()
	require.Error(t, err, "it must not believe that it charged the order")
	require.Contains(t, stderr, errOutrun.Error())
	charges, last := charged(t, file)
	require.Equal(t, 1, charges)
	require.Equal(t, token, last)
}

// The later holder need not have written anything yet: that it began is enough.
func TestSuspendedHolderIsRefusedWhileTheNextOneWorks(t *testing.T) {
	t.Setenv("REDIS_NODES", strings.Join(coretest.Redis(t, 3).URLs(), ","))
	file := filepath.Join(t.TempDir(), "shop.db")
	suspended := subprocess.Start(t, "-db", file)
	suspended.Await("order 42 was charged 0 times")
	suspended.Signal(syscall.SIGSTOP)
	later := subprocess.Start(t, "-db", file)
	later.Await("order 42 was charged 0 times")

	suspended.Type("")
	suspended.Signal(syscall.SIGCONT)
	stderr, err := suspended.Wait()
	require.Error(t, err)
	require.Contains(t, stderr, errOutrun.Error())
	later.Type("")
	tokenOf(t, later)
	_, err = later.Wait()
	require.NoError(t, err)
	charges, _ := charged(t, file)
	require.Equal(t, 1, charges, "the later one had read 0, and that stayed true")
}

func TestProcessesTakeTurns(t *testing.T) {
	t.Setenv("REDIS_NODES", strings.Join(coretest.Redis(t, 3).URLs(), ","))
	file := filepath.Join(t.TempDir(), "shop.db")
	var fleet [3]*subprocess.Process
	for i := range fleet {
		fleet[i] = subprocess.Start(t, "-db", file)
		fleet[i].Type("")
	}
	tokens := map[int64]bool{}
	for _, p := range fleet {
		tokens[tokenOf(t, p)] = true
		_, err := p.Wait()
		require.NoError(t, err)
	}
	require.Len(t, tokens, len(fleet), "every lock has a token of its own")
	charges, _ := charged(t, file)
	require.Equal(t, len(fleet), charges)
}
