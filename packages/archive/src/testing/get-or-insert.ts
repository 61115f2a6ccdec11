/** The value of a key, which is made where there is none yet. */
export function getOrInsert<K, V> (map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}
