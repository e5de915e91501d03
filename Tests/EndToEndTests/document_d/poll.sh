# 1. 提交异步任务
RESPONSE=$(curl -s -X POST http://localhost:3000/api/openai \
  -H "Content-Type: application/json" \
  -d '{
    "data": {"task": "long_running_job"},
    "async": true,
    "timeout": 300000
  }')

# 提取 taskId
TASK_ID=$(echo $RESPONSE | jq -r '.taskId')
echo "Task ID: $TASK_ID"

# 2. 轮询查询状态
while true; do
  STATUS=$(curl -s http://localhost:3000/api/task/$TASK_ID)
  TASK_STATUS=$(echo $STATUS | jq -r '.status')
  
  echo "Status: $TASK_STATUS"
  
  if [ "$TASK_STATUS" = "completed" ]; then
    echo "Result: $(echo $STATUS | jq '.result')"
    break
  elif [ "$TASK_STATUS" = "failed" ]; then
    echo "Error: $(echo $STATUS | jq -r '.error')"
    break
  fi
  
  sleep 2
done
