// Package tagged imports something only without the tag "small".
package tagged
