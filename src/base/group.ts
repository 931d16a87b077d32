/** Groups values by key, in the order of first appearance. */
// Map.groupBy needs Node 21
export function groupBy<Key, Value>(
  values: Value[],
  getKey: (value: Value) => Key
): Map<Key, Value[]> {
  const groups = new Map<Key, Value[]>();
  for (const value of values) {
    const group = groups.get(getKey(value));
    if (group) group.push(value);
    else groups.set(getKey(value), [value]);
  }
  return groups;
}
