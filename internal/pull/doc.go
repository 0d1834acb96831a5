// Package pull fetches models by name into the caches of package hub: from Hugging Face's hub and ModelScope, from registries of containers,
// and from addresses. What is in a cache then is whole: files get their names when their sums are known to be right, and the model's folder
// is made when all of its files are there.
package pull
