curl http://localhost:3000/api/task/{taskId}
