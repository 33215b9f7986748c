/** What every command gets beside its options. */
export interface Context {
  readonly signal: AbortSignal;
}
