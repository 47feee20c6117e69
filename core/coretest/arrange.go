package coretest

import (
	"context"
	"errors"
	"strconv"
)

// do runs a command for a method called what.
func (n *Node) do(what string, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := n.client.Do(ctx, args...).Result()
	return reply, n.check(what, err)
}

// Config changes a directive of the running server (CONFIG SET), such as
// "maxmemory", "min-replicas-to-write" or "busy-reply-threshold", until it is restarted.
func (n *Node) Config(directive, value string) error {
	_, err := n.do("config set "+directive, "CONFIG", "SET", directive, value)
	return err
}

// FillUp has every write that needs memory refused (OOM): the limit is one
// byte and nothing may be evicted.
func (n *Node) FillUp() error {
	return errors.Join(n.Config("maxmemory-policy", "noeviction"), n.Config("maxmemory", "1"))
}

// ReplicaOf makes the node a replica of master, so that it refuses writes
// (READONLY); with nil it becomes a master again, keeping its data.
func (n *Node) ReplicaOf(master *Node) error {
	args := []any{"REPLICAOF", "NO", "ONE"}
	if master != nil {
		args = []any{"REPLICAOF", host, strconv.Itoa(master.Port())}
	}
	_, err := n.do("replicaof", args...)
	return err
}

// RequirePass demands password of all new connections; [Node.URL] carries it
// from now on, a restart keeps it. The empty password demands none.
func (n *Node) RequirePass(password string) error {
	if err := n.Config("requirepass", password); err != nil {
		return err
	}
	n.password.Store(&password)
	return nil
}

// ACL creates or changes a user (ACL SETUSER), for example
// ACL("app", "on", ">secret", "~dlm:*", "+@all").
func (n *Node) ACL(user string, rules ...string) error {
	args := []any{"ACL", "SETUSER", user}
	for _, rule := range rules {
		args = append(args, rule)
	}
	_, err := n.do("acl setuser "+user, args...)
	return err
}

// FlushAll empties the node.
func (n *Node) FlushAll() error {
	_, err := n.do("flushall", "FLUSHALL")
	return err
}

// ScriptFlush has the node forget its scripts, so that EVALSHA says NOSCRIPT.
func (n *Node) ScriptFlush() error {
	_, err := n.do("script flush", "SCRIPT", "FLUSH")
	return err
}
