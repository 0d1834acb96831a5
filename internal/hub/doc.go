// Package hub knows models by name. It reads names such as hf:ORG/MODEL, and finds models in the caches on this machine, where
// package pull puts them, and Hugging Face's own programs. It opens no connection.
//
// Two folders are caches: Hugging Face's, which is shared with Python, and our own for all that comes from elsewhere. Both have a
// folder for each repository, and in it the hub's layout:
//
//	blobs/DIGEST                the files, once each
//	snapshots/REVISION/PATH     links to them
//	refs/NAME                   the revision that a branch or a tag stood for when it was fetched
package hub
