/** JavaScript's side of time. What is stored or compared across replicas takes the database's clock instead. */
export type Clock = { now(): Date };
