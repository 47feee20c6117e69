// Package echolock puts a [guard.Guard] before handlers of echo v4.
package echolock
