// Package deploy tests the files that are deployed. What its page says of
// deployments is tested by core/deploy_test.go.
package deploy

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin/binding"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core"
)

// A closed go-redis pool whose server is down takes a second to notice.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const patience = 20 * time.Second

type composeFile struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Image   string   `yaml:"image"`
	Command []string `yaml:"command"`
	Ports   []string `yaml:"ports"`
	Volumes []string `yaml:"volumes"`
}

func compose(t *testing.T) (file composeFile, text string) {
	t.Helper()
	read, err := os.ReadFile("compose.yaml")
	require.NoError(t, err)
	require.NoError(t, binding.YAML.BindBody(read, &file)) // gin's reader, to need no other
	return file, string(read)
}

// urls are what the comment in the file says REDIS_NODES is.
func urls(t *testing.T, text string) []*url.URL {
	t.Helper()
	line := regexp.MustCompile(`REDIS_NODES=(\S+)`).FindStringSubmatch(text)
	require.NotNil(t, line)
	var found []*url.URL
	for text := range strings.SplitSeq(line[1], ",") {
		u, err := url.Parse(text)
		require.NoError(t, err)
		found = append(found, u)
	}
	return found
}

func TestFiveServersThatShareNothing(t *testing.T) {
	file, text := compose(t)
	require.Len(t, file.Services, 5)
	ports := map[string]bool{}
	data := map[string]bool{}
	for name, s := range file.Services {
		require.Regexp(t, `^redis:\d`, s.Image, name)
		require.Len(t, s.Ports, 1, name)
		host, port, inside := cut3(s.Ports[0])
		require.Equal(t, "127.0.0.1", host, "%s must not listen to everybody", name)
		require.Equal(t, "6379", inside, name)
		ports[port] = true
		require.Len(t, s.Volumes, 2, name)
		require.Equal(t, "./users.acl:/etc/redis/users.acl:ro", s.Volumes[0], name)
		volume, _, _ := strings.Cut(s.Volumes[1], ":")
		require.Contains(t, file.Volumes, volume)
		data[volume] = true
	}
	require.Len(t, ports, 5)
	require.Len(t, data, 5, "no two on one disk")
	for _, u := range urls(t, text) {
		require.True(t, ports[u.Port()], "no service listens on %s", u.Host)
		delete(ports, u.Port())
	}
	require.Empty(t, ports, "left out of REDIS_NODES")
}

func cut3(s string) (a, b, c string) {
	a, rest, _ := strings.Cut(s, ":")
	b, c, _ = strings.Cut(rest, ":")
	return a, b, c
}

// The command of each service, given to a redis-server here, makes nodes that
// the URLs in the comment can lock on.
func TestCommandsMakeNodes(t *testing.T) {
	file, text := compose(t)
	access := urls(t, text)
	var nodes []string
	for _, s := range file.Services {
		u := *access[len(nodes)]
		u.Host = serve(t, s.Command)
		nodes = append(nodes, u.String())
		requireSettings(t, u.Host)
	}
	locks, err := core.New(core.Config{Nodes: nodes, NodeTimeout: patience / 4})
	require.NoError(t, err)
	defer locks.Close()
	lock, err := locks.Acquire(t.Context(), "order_42")
	require.NoError(t, err)
	require.NoError(t, lock.Release(t.Context()))
	health, err := locks.Health(t.Context())
	require.NoError(t, err)
	for _, n := range health.Nodes {
		require.NoError(t, n.Err)
	}
}

// serve runs a redis-server as the command says, but on a port of its own.
func serve(t *testing.T, command []string) (addr string) {
	t.Helper()
	users, err := filepath.Abs("users.acl")
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	args := []string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", t.TempDir()}
	for _, arg := range command[1:] {
		if arg == "/etc/redis/users.acl" {
			arg = users
		}
		args = append(args, arg)
	}
	server := exec.Command(command[0], args...)
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// requireSettings waits for the server and asks it, as the user of the locks,
// what it makes of the command.
func requireSettings(t *testing.T, addr string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, Username: "dlm", Password: "change-me-1", MaxRetries: -1})
	defer client.Close()
	require.Eventually(t, func() bool { return client.Ping(context.Background()).Err() == nil }, patience, 10*time.Millisecond)
	info, err := client.Info(t.Context(), "memory", "persistence").Result()
	require.NoError(t, err)
	require.Contains(t, info, "maxmemory_policy:noeviction")
	require.Contains(t, info, "maxmemory:134217728")
	require.Contains(t, info, "aof_enabled:1")

	anybody := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer anybody.Close()
	require.ErrorContains(t, anybody.Get(t.Context(), "x").Err(), "NOAUTH")
}
