/**
 * Who may change a node in place. The trees of an index are shared by all versions that edits made of it; an edit makes
 * an owner of its own, copies each node that it changes once, and from then on changes its copy.
 */
export type Owner = object
