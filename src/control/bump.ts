/** A count by key that forgets its zeros: as many entries as there are keys with something to count. */
export function bump<K>(counts: Map<K, number>, key: K, step: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + step;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
