// Echoes its event through the official Go runtime client.
package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type answer struct {
	Echo      json.RawMessage `json:"echo"`
	RequestID string          `json:"request_id"`
}

func handle(ctx context.Context, event json.RawMessage) (answer, error) {
	var wish struct {
		Fail string `json:"fail"`
	}
	if json.Unmarshal(event, &wish) == nil && wish.Fail != "" {
		return answer{}, errors.New(wish.Fail)
	}
	lc, _ := lambdacontext.FromContext(ctx)
	return answer{event, lc.AwsRequestID}, nil
}

func main() { lambda.Start(handle) }
