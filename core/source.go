package core

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// source is where one node's connections come from.
type source struct {
	name    string                // address for errors, logs and metrics; never credentials
	options *redis.Options        // of a server reached by connections of our own, or nil
	client  redis.UniversalClient // of a deployment that only go-redis can route to, or nil
}

// sources turns Nodes and Clients into one list, refusing the same server
// written twice. The same server under two names is refused when it answers.
func (c Config) sources() ([]source, error) {
	var (
		list []source
		errs []error
	)
	seen := map[string]string{}
	add := func(field string, s source) {
		if first, dup := seen[s.name]; dup {
			errs = append(errs, fmt.Errorf("%s: %s is already %s: every node must be an independent Redis", field, s.name, first))
			return
		}
		seen[s.name] = field
		list = append(list, s)
	}
	for i, raw := range c.Nodes {
		field := fmt.Sprintf("Nodes[%d]", i)
		opt, err := parseNodeURL(raw)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", field, err))
			continue
		}
		add(field, source{name: opt.Addr, options: opt})
	}
	for i, client := range c.Clients {
		add(fmt.Sprintf("Clients[%d]", i), sourceOf(client, i))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("dlm: %w: %w", ErrInvalid, errors.Join(errs...))
	}
	return list, nil
}

// sourceOf prefers connections of our own, whose order and deadlines we
// control; a Cluster, or a client of a type that is not known, keeps its own routing.
func sourceOf(client redis.UniversalClient, i int) source {
	if single, ok := client.(*redis.Client); ok {
		opt := *single.Options()
		name := opt.Addr
		if name == "FailoverClient" {
			name = fmt.Sprintf("sentinel[%d]", i)
		}
		return source{name: name, options: &opt}
	}
	return source{name: fmt.Sprintf("%T[%d]", client, i), client: client}
}

// pythonOptions are spelled differently in the URLs of Python's redis client.
var pythonOptions = map[string]string{
	"socket_timeout":         "read_timeout",
	"socket_connect_timeout": "dial_timeout",
}

// parseNodeURL never repeats the URL in an error: it may hold a password.
func parseNodeURL(raw string) (*redis.Options, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("not a URL: write redis://host:6379, rediss://host:6379 or unix:///path/redis.sock")
	}
	strays := straysFromUser(u)
	opt, err := optionsOf(u)
	if strays && (err != nil || u.Fragment != "") {
		return nil, errors.New("an @ behind the address: in a user name or a password write / as %2F, ? as %3F, # as %23 and @ as %40")
	}
	return opt, err
}

// straysFromUser reports an @ behind the place of user and password, which then
// are likely to have been cut by a character that ends the place: what is taken
// for a path, a database or an option may be a piece of the password.
func straysFromUser(u *url.URL) bool {
	return strings.Contains(u.Opaque+u.Path+u.RawQuery+u.Fragment, "@")
}

func optionsOf(u *url.URL) (*redis.Options, error) {
	switch u.Scheme {
	case "redis", "rediss", "unix":
	default:
		return nil, fmt.Errorf("scheme %q: use redis://, rediss:// or unix://", u.Scheme)
	}
	if err := translatePythonOptions(u); err != nil {
		return nil, err
	}
	opt, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, redactURL(err, u)
	}
	if opt.Addr == "" {
		return nil, errors.New("no address: write redis://host:6379 or unix:///path/redis.sock")
	}
	keepQuiet(opt)
	return opt, nil
}

// keepQuiet has go-redis say nothing of itself on new connections: CLIENT may be
// beyond the rights of the user, and servers log what they refuse.
func keepQuiet(opt *redis.Options) {
	opt.DisableIdentity = true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func translatePythonOptions(u *url.URL) error {
	q := u.Query()
	for from, to := range pythonOptions {
		if !q.Has(from) {
			continue
		}
		seconds, err := strconv.ParseFloat(q.Get(from), 64)
		if err != nil || !(seconds > 0 && seconds <= maxTTL.Seconds()) {
			return fmt.Errorf("option %s=%q: want a positive number of seconds", from, q.Get(from))
		}
		q.Del(from)
		q.Set(to, time.Duration(seconds*float64(time.Second)).String())
	}
	u.RawQuery = q.Encode()
	return nil
}

// redactURL keeps what go-redis says about an option and drops what it says
// about anything that can carry a credential.
func redactURL(err error, u *url.URL) error {
	text := err.Error()
	password, _ := u.User.Password()
	secret := secretOf(u.User.Username(), password)
	if whole := (*url.Error)(nil); errors.As(err, &whole) || secret != "" && strings.Contains(text, secret) {
		return errors.New("not usable as a Redis URL")
	}
	return errors.New(text)
}

// isNil also finds a nil pointer in a non-nil interface.
func isNil(client redis.UniversalClient) bool {
	if client == nil {
		return true
	}
	v := reflect.ValueOf(client)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
